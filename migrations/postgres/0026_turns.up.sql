-- evaluated_at: when a segment's rule was evaluated over everyone; null: not
-- since this is noted.
alter table segments add column evaluated_at bigint;

-- A user counts as changed by what a rule may ask for, and not by being seen.
create function note_user() returns trigger language plpgsql as $$
begin
    insert into segment_changes (env_id, user_id)
    select new.env_id, new.id
    where exists (select 1 from segments s where s.env_id = new.env_id);
    return null;
end $$;
drop trigger users_update on users;
create trigger users_update after update on users for each row
    when ((old.identifier, old.enabled, old.kind, old.archived_at, old.signed_up_at) is distinct from (new.identifier, new.enabled, new.kind, new.archived_at, new.signed_up_at))
    execute function note_user();

-- webhook_leftovers: endpoints that were deleted, of whose events some may be left.
create table webhook_leftovers (
    env_id      bigint not null,
    endpoint_id text   not null,
    primary key (env_id, endpoint_id)
);

-- webhook_events_failed finds what can be replayed.
create index webhook_events_failed on webhook_events (env_id, endpoint_id, id) where state = 4;
