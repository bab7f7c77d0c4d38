-- recall: 1 while the notifications of a send are being taken back, 2 when they
-- were; those of users up to recall_reached have been. Nothing is made of such a
-- send any more.
alter table sends add column recalled_at bigint;
alter table sends add column recall smallint not null default 0;
alter table sends add column recall_reached bigint not null default 0;
create index sends_recalling on sends (env_id, id) where recall = 1;

-- collapses: the newest notification of a user with a key; the one before it
-- went when it came. It is written under the lock of the inbox, so it has no
-- foreign key, which would ask for the user's row behind that.
create table collapses (
    env_id          bigint not null,
    user_id         bigint not null,
    key             text   not null,
    notification_id bigint not null,
    primary key (env_id, user_id, key)
);
create index collapses_notification on collapses (env_id, notification_id);

-- dedupes: a user is not sent anything more with a key before until.
create table dedupes (
    env_id  bigint not null,
    user_id bigint not null,
    key     text   not null,
    until   bigint not null,
    primary key (env_id, user_id, key),
    foreign key (env_id, user_id) references users (env_id, id) on delete cascade
);
create index dedupes_until on dedupes (until);
