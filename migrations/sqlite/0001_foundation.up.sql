-- Times are UTC microseconds since 1970, enums on hot rows small integers (package model has the numbers).
-- Every table begins its keys with the environment.

-- facts: what is true of this database as a whole, such as its epoch and a
-- ciphertext that tells whether the master key is the right one.
create table facts (
    name  text primary key,
    value text not null
);

-- ids: one sequence for every integer id, handed out in blocks.
create table ids (
    only integer primary key check (only = 1),
    next integer not null
);
insert into ids (only, next) values (1, 1000);

create table apps (
    id         bigint primary key,
    name       text   not null unique,
    created_at bigint not null
);

create table environments (
    id         bigint primary key,
    app_id     bigint not null references apps (id),
    kind       text   not null check (kind in ('test', 'live')),
    user_auth  text   not null check (user_auth in ('open', 'hmac', 'token')),
    api_key    text   not null unique,
    settings   text   not null,
    created_at bigint not null,
    unique (app_id, kind)
);

create table credentials (
    env_id      bigint not null references environments (id),
    id          text   not null,
    kind        text   not null,
    name        text   not null,
    algorithm   text   not null,
    hint        text   not null,
    lookup_hash blob,
    sealed      blob,
    public_key  text   not null,
    created_at  bigint not null,
    expires_at  bigint,
    revoked_at  bigint,
    primary key (env_id, id)
);
-- A credential is looked up before its environment is known.
create unique index credentials_id on credentials (id);
create unique index credentials_lookup on credentials (lookup_hash) where lookup_hash is not null;

create table users (
    env_id     bigint  not null references environments (id),
    id         bigint  not null,
    identifier text    not null,
    enabled    boolean not null,
    created_at bigint  not null,
    updated_at bigint  not null,
    primary key (env_id, id),
    unique (env_id, identifier)
);
create index users_created on users (env_id, created_at, id);

-- profiles: attributes is the whole truth, one JSON object; the columns beside
-- it are copies of what is searched and sent to.
create table profiles (
    env_id       bigint not null,
    user_id      bigint not null,
    version      bigint not null,
    attributes   text   not null,
    email        text,
    phone_number text,
    primary key (env_id, user_id),
    foreign key (env_id, user_id) references users (env_id, id) on delete cascade
);
create index profiles_email on profiles (env_id, email) where email is not null;

-- devices: push_key is a hash of the token or subscription, '' without one. A
-- push goes to whoever registered it last.
create table devices (
    env_id       bigint not null,
    user_id      bigint not null,
    id           text   not null,
    device_key   text   not null,
    platform     text   not null,
    browser      text   not null,
    token        text   not null,
    web_push     text,
    push_key     text   not null,
    created_at   bigint not null,
    last_used_at bigint not null,
    primary key (env_id, user_id, id),
    unique (env_id, user_id, device_key),
    foreign key (env_id, user_id) references users (env_id, id) on delete cascade
);
create index devices_push on devices (env_id, push_key) where push_key <> '';

create table categories (
    env_id            bigint  not null references environments (id),
    id                bigint  not null,
    identifier        text    not null,
    name              text    not null,
    default_enabled   boolean not null,
    channel_defaults  text    not null,
    required_channels text    not null,
    hide_in_inbox     boolean not null,
    hide_in_prefs     boolean not null,
    created_at        bigint  not null,
    updated_at        bigint  not null,
    primary key (env_id, id),
    unique (env_id, identifier)
);

-- preferences: explicit choices only. category_id 0: every category;
-- channel 0: the whole category.
create table preferences (
    env_id      bigint   not null,
    user_id     bigint   not null,
    category_id bigint   not null,
    channel     smallint not null,
    enabled     boolean  not null,
    updated_at  bigint   not null,
    primary key (env_id, user_id, category_id, channel),
    foreign key (env_id, user_id) references users (env_id, id) on delete cascade
);
create index preferences_category on preferences (env_id, category_id);

create table topics (
    env_id     bigint not null references environments (id),
    id         bigint not null,
    identifier text   not null,
    name       text   not null,
    created_at bigint not null,
    updated_at bigint not null,
    primary key (env_id, id),
    unique (env_id, identifier)
);

create table topic_members (
    env_id     bigint not null,
    topic_id   bigint not null,
    user_id    bigint not null,
    channels   text,
    created_at bigint not null,
    primary key (env_id, topic_id, user_id),
    foreign key (env_id, topic_id) references topics (env_id, id) on delete cascade,
    foreign key (env_id, user_id) references users (env_id, id) on delete cascade
);
create index topic_members_user on topic_members (env_id, user_id, topic_id);

-- sends: content is stored here once, however many receive it. audience is who
-- a send that is SCHEDULED or EXPANDING goes to, as JSON (model.Audience); users
-- up to the id reached have been dealt with.
create table sends (
    env_id      bigint not null references environments (id),
    id          bigint not null,
    request_id  text   not null,
    status      text   not null check (status in ('SCHEDULED', 'EXPANDING', 'SENT', 'CANCELED')),
    title       text   not null,
    content     text   not null,
    category_id bigint not null,
    channels    text,
    audience    text,
    send_at     bigint,
    fired_at    bigint,
    expires_at  bigint,
    created_at  bigint not null,
    total       bigint not null,
    done        bigint not null,
    skipped     bigint not null,
    failed      bigint not null,
    reached     bigint not null default 0,
    primary key (env_id, id),
    unique (env_id, request_id)
);
create index sends_log on sends (env_id, created_at, id);
create index sends_scheduled on sends (env_id, send_at, id) where status = 'SCHEDULED';
create index sends_due on sends (send_at, id) where status = 'SCHEDULED';
-- Environments take turns.
create index sends_expanding on sends (env_id, fired_at, id) where status = 'EXPANDING';

-- inboxes: one row for each user that was ever sent anything. Every change of
-- an inbox takes this row's lock first, so seq order is commit order and the
-- counters move with the rows they count. *_up_to: the highest mark-all.
create table inboxes (
    env_id     bigint not null,
    user_id    bigint not null,
    seq        bigint not null,
    total      bigint not null check (total >= 0),
    unseen     bigint not null check (unseen >= 0),
    unread     bigint not null check (unread >= 0),
    seen_up_to bigint not null,
    read_up_to bigint not null,
    trimmed_to bigint not null,
    primary key (env_id, user_id),
    foreign key (env_id, user_id) references users (env_id, id) on delete cascade
);

-- inbox_marks: every mark-all, for ever growing up_to_seq within a kind
-- (1 seen, 2 read). An item is covered when its own seq for that state is at
-- or below up_to_seq.
create table inbox_marks (
    env_id    bigint   not null,
    user_id   bigint   not null,
    kind      smallint not null,
    up_to_seq bigint   not null,
    seq       bigint   not null,
    at        bigint   not null,
    primary key (env_id, user_id, kind, up_to_seq),
    foreign key (env_id, user_id) references inboxes (env_id, user_id) on delete cascade
);
create index inbox_marks_seq on inbox_marks (env_id, user_id, seq);

-- notifications: a send as one user sees it; narrow, since there are many.
-- An item is unread when read_at is null and read_seq > inboxes.read_up_to;
-- unseen likewise. added_seq is the seq at insert, seq the one of the last
-- change. A deleted item stays as a tombstone until retention.
create table notifications (
    env_id        bigint   not null,
    id            bigint   not null,
    user_id       bigint   not null,
    send_id       bigint   not null,
    category_id   bigint   not null,
    sort_at       bigint   not null,
    added_seq     bigint   not null,
    seq           bigint   not null,
    seen_seq      bigint   not null,
    read_seq      bigint   not null,
    seen_at       bigint,
    read_at       bigint,
    interacted_at bigint,
    archived_at   bigint,
    deleted_at    bigint,
    expires_at    bigint,
    in_inbox      boolean  not null,
    reason        smallint not null,
    state         text,
    primary key (env_id, id)
);
-- Makes a re-run of any fan-out harmless.
create unique index notifications_once on notifications (env_id, send_id, user_id);
-- The inbox's own order, and that of what was put away: neither is walked in vain for the other.
create index notifications_inbox on notifications (env_id, user_id, sort_at, id) where in_inbox and deleted_at is null and archived_at is null;
create index notifications_archived on notifications (env_id, user_id, sort_at, id) where in_inbox and deleted_at is null and archived_at is not null;
-- What changed after a position, tombstones included; and all that is a user's.
create index notifications_changes on notifications (env_id, user_id, seq);
-- Exactly the unread items, whatever was marked: those above inboxes.read_up_to.
create index notifications_unread on notifications (env_id, user_id, read_seq) where in_inbox and deleted_at is null and archived_at is null and read_at is null;
create index notifications_expiry on notifications (expires_at) where in_inbox and expires_at is not null and deleted_at is null;

-- deliveries: one notification over one channel to one address; the table is
-- the queue. States 1 and 2 are due at run_at.
create table deliveries (
    env_id          bigint   not null,
    id              text     not null,
    notification_id bigint   not null,
    user_id         bigint   not null,
    send_id         bigint   not null,
    channel         smallint not null,
    state           smallint not null,
    reason          smallint not null,
    attempt         integer  not null,
    run_at          bigint   not null,
    created_at      bigint   not null,
    primary key (env_id, id)
);
create index deliveries_notification on deliveries (env_id, notification_id);
create index deliveries_due on deliveries (run_at) where state <= 2;

-- idempotency: answers by key. actor 0 is the application, else a user.
create table idempotency (
    env_id     bigint not null references environments (id),
    actor      bigint not null,
    operation  text   not null,
    key        text   not null,
    hash       blob  not null,
    result     text   not null,
    created_at bigint not null,
    primary key (env_id, actor, operation, key)
);
create index idempotency_age on idempotency (created_at);
