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
    env_id  bigint  not null,
    id      integer primary key autoincrement,
    user_id bigint  not null
);
create index segment_changes_env on segment_changes (env_id, id);

-- The queue is filled by the database, so that no statement can forget it.
-- Without a segment in the environment nothing is written.
create trigger users_insert after insert on users when exists (select 1 from segments where env_id = new.env_id)
    begin insert into segment_changes (env_id, user_id) values (new.env_id, new.id); end;
create trigger users_update after update on users when exists (select 1 from segments where env_id = new.env_id)
    begin insert into segment_changes (env_id, user_id) values (new.env_id, new.id); end;
create trigger users_delete after delete on users when exists (select 1 from segments where env_id = old.env_id)
    begin insert into segment_changes (env_id, user_id) values (old.env_id, old.id); end;
create trigger profiles_insert after insert on profiles when exists (select 1 from segments where env_id = new.env_id)
    begin insert into segment_changes (env_id, user_id) values (new.env_id, new.user_id); end;
create trigger profiles_update after update on profiles when exists (select 1 from segments where env_id = new.env_id)
    begin insert into segment_changes (env_id, user_id) values (new.env_id, new.user_id); end;
create trigger profiles_delete after delete on profiles when exists (select 1 from segments where env_id = old.env_id)
    begin insert into segment_changes (env_id, user_id) values (old.env_id, old.user_id); end;
create trigger topic_members_insert after insert on topic_members when exists (select 1 from segments where env_id = new.env_id)
    begin insert into segment_changes (env_id, user_id) values (new.env_id, new.user_id); end;
create trigger topic_members_update after update on topic_members when exists (select 1 from segments where env_id = new.env_id)
    begin insert into segment_changes (env_id, user_id) values (new.env_id, new.user_id); end;
create trigger topic_members_delete after delete on topic_members when exists (select 1 from segments where env_id = old.env_id)
    begin insert into segment_changes (env_id, user_id) values (old.env_id, old.user_id); end;
create trigger events_insert after insert on events when exists (select 1 from segments where env_id = new.env_id)
    begin insert into segment_changes (env_id, user_id) values (new.env_id, new.user_id); end;
create trigger events_update after update on events when exists (select 1 from segments where env_id = new.env_id)
    begin insert into segment_changes (env_id, user_id) values (new.env_id, new.user_id); end;
create trigger events_delete after delete on events when exists (select 1 from segments where env_id = old.env_id)
    begin insert into segment_changes (env_id, user_id) values (old.env_id, old.user_id); end;
create trigger devices_insert after insert on devices when exists (select 1 from segments where env_id = new.env_id)
    begin insert into segment_changes (env_id, user_id) values (new.env_id, new.user_id); end;
create trigger devices_update after update on devices when exists (select 1 from segments where env_id = new.env_id)
    begin insert into segment_changes (env_id, user_id) values (new.env_id, new.user_id); end;
create trigger devices_delete after delete on devices when exists (select 1 from segments where env_id = old.env_id)
    begin insert into segment_changes (env_id, user_id) values (old.env_id, old.user_id); end;
create trigger addresses_insert after insert on addresses when exists (select 1 from segments where env_id = new.env_id)
    begin insert into segment_changes (env_id, user_id) values (new.env_id, new.user_id); end;
create trigger addresses_update after update on addresses when exists (select 1 from segments where env_id = new.env_id)
    begin insert into segment_changes (env_id, user_id) values (new.env_id, new.user_id); end;
create trigger addresses_delete after delete on addresses when exists (select 1 from segments where env_id = old.env_id)
    begin insert into segment_changes (env_id, user_id) values (old.env_id, old.user_id); end;
