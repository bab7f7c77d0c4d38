-- evaluated_at: when a segment's rule was evaluated over everyone; null: not
-- since this is noted.
alter table segments add column evaluated_at bigint;

-- A user counts as changed by what a rule may ask for, and not by being seen.
drop trigger users_update;
create trigger users_update after update of identifier, enabled, kind, archived_at, signed_up_at on users
    when (old.identifier is not new.identifier or old.enabled is not new.enabled or old.kind is not new.kind
            or old.archived_at is not new.archived_at or old.signed_up_at is not new.signed_up_at)
        and exists (select 1 from segments where env_id = new.env_id)
    begin insert into segment_changes (env_id, user_id) values (new.env_id, new.id); end;

-- webhook_leftovers: endpoints that were deleted, of whose events some may be left.
create table webhook_leftovers (
    env_id      bigint not null,
    endpoint_id text   not null,
    primary key (env_id, endpoint_id)
);

-- webhook_events_failed finds what can be replayed.
create index webhook_events_failed on webhook_events (env_id, endpoint_id, id) where state = 4;
