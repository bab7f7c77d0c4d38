-- segments: rules that users match or not. size and refreshed_at are as of the
-- last evaluation; refreshed_at is null until the rule was evaluated once. A
-- whole evaluation is due at due_at. followed_at: up to then the users whom the
-- passing of time concerns are noted in segment_changes; null: that is not asked.
create table segments (
    env_id       bigint  not null references environments (id),
    id           bigint  not null,
    identifier   text    not null,
    name         text    not null,
    description  text    not null,
    rule         text    not null,
    size         bigint  not null,
    refreshed_at bigint,
    due_at       bigint  not null,
    followed_at  bigint,
    created_at   bigint  not null,
    updated_at   bigint  not null,
    primary key (env_id, id),
    unique (env_id, identifier)
);
create index segments_due on segments (due_at, env_id, id);
create index segments_followed on segments (followed_at, env_id, id) where followed_at is not null;

-- events_time finds what comes into a window of days, and what leaves it.
create index events_time on events (env_id, name, occurred_at, user_id);

-- segment_members: who matched at the last evaluation.
create table segment_members (
    env_id     bigint not null,
    segment_id bigint not null,
    user_id    bigint not null,
    primary key (env_id, segment_id, user_id),
    foreign key (env_id, segment_id) references segments (env_id, id) on delete cascade,
    foreign key (env_id, user_id) references users (env_id, id) on delete cascade
);
create index segment_members_user on segment_members (env_id, user_id, segment_id);

-- segment_suppressions: users to whom sends to a segment do not go, members or
-- not.
create table segment_suppressions (
    env_id     bigint not null,
    segment_id bigint not null,
    user_id    bigint not null,
    created_at bigint not null,
    primary key (env_id, segment_id, user_id),
    foreign key (env_id, segment_id) references segments (env_id, id) on delete cascade,
    foreign key (env_id, user_id) references users (env_id, id) on delete cascade
);
create index segment_suppressions_user on segment_suppressions (env_id, user_id, segment_id);

-- segment_changes: users of whom something changed that a rule may ask for. A
-- user may stand there several times; whoever evaluates takes rows away.
create table segment_changes (
    env_id  bigint not null,
    id      bigint not null generated always as identity,
    user_id bigint not null,
    primary key (env_id, id)
);

-- The queue is filled by the database, so that no statement can forget it.
-- Without a segment in the environment nothing is written.
create function note_user_changes() returns trigger language plpgsql as $$
begin
    insert into segment_changes (env_id, user_id)
    select distinct c.env_id, c.user_id from changed c
    where exists (select 1 from segments s where s.env_id = c.env_id);
    return null;
end $$;
create function note_users() returns trigger language plpgsql as $$
begin
    insert into segment_changes (env_id, user_id)
    select c.env_id, c.id from changed c
    where exists (select 1 from segments s where s.env_id = c.env_id);
    return null;
end $$;

create trigger users_insert after insert on users referencing new table as changed for each statement execute function note_users();
create trigger users_update after update on users referencing new table as changed for each statement execute function note_users();
create trigger users_delete after delete on users referencing old table as changed for each statement execute function note_users();
create trigger profiles_insert after insert on profiles referencing new table as changed for each statement execute function note_user_changes();
create trigger profiles_update after update on profiles referencing new table as changed for each statement execute function note_user_changes();
create trigger profiles_delete after delete on profiles referencing old table as changed for each statement execute function note_user_changes();
create trigger topic_members_insert after insert on topic_members referencing new table as changed for each statement execute function note_user_changes();
create trigger topic_members_update after update on topic_members referencing new table as changed for each statement execute function note_user_changes();
create trigger topic_members_delete after delete on topic_members referencing old table as changed for each statement execute function note_user_changes();
create trigger events_insert after insert on events referencing new table as changed for each statement execute function note_user_changes();
create trigger events_update after update on events referencing new table as changed for each statement execute function note_user_changes();
create trigger events_delete after delete on events referencing old table as changed for each statement execute function note_user_changes();
create trigger devices_insert after insert on devices referencing new table as changed for each statement execute function note_user_changes();
create trigger devices_update after update on devices referencing new table as changed for each statement execute function note_user_changes();
create trigger devices_delete after delete on devices referencing old table as changed for each statement execute function note_user_changes();
create trigger addresses_insert after insert on addresses referencing new table as changed for each statement execute function note_user_changes();
create trigger addresses_update after update on addresses referencing new table as changed for each statement execute function note_user_changes();
create trigger addresses_delete after delete on addresses referencing old table as changed for each statement execute function note_user_changes();

-- carillon_date reads a date of an attribute as microseconds since 1970, null
-- where it is none. A cast alone would fail for all users because of one.
create function carillon_date(t text) returns bigint language plpgsql immutable strict as $$
begin
    if t !~ '^[0-9]{4}-[0-9]{2}-[0-9]{2}([T ]([01][0-9]|2[0-3]):[0-5][0-9](:[0-5][0-9](\.[0-9]+)?)?(Z|[+-][0-9]{2}:?[0-9]{2})?)?$' then
        return null;
    end if;
    if t !~ '(Z|[T ].*[+-][0-9]{2}:?[0-9]{2})$' then
        t := t || case when length(t) = 10 then ' 00:00Z' else 'Z' end;
    end if;
    return (extract(epoch from regexp_replace(t, '(\.[0-9]{6})[0-9]+', '\1')::timestamptz) * 1000000)::bigint;
exception when others then
    return null;
end $$;
