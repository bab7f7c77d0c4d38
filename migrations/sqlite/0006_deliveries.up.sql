-- providers: an environment's accounts at those who carry its channels, in the
-- order in which a channel tries them. config is shown, sealed is not: it is
-- encrypted with the master key. trouble says why the server paused one.
-- rate_at: the time up to which the rate of a limited one is spent.
create table providers (
    env_id      bigint   not null references environments (id),
    id          text     not null,
    channel     smallint not null,
    kind        text     not null,
    name        text     not null,
    position    integer  not null,
    enabled     boolean  not null,
    config      text     not null,
    sealed      blob    not null,
    secrets     text     not null,
    concurrency integer  not null,
    per_second  integer  not null,
    rate_at     bigint   not null default 0,
    paused_at   bigint,
    trouble     text     not null,
    created_at  bigint   not null,
    updated_at  bigint   not null,
    primary key (env_id, id)
);
create index providers_channel on providers (env_id, channel, position, id);

-- deliveries: one notification over one channel to one address; the table is
-- the queue. States 1 and 2 are due at run_at, which in state 2 is the end of
-- the lease. lane is env_id * 32 + channel: lanes take turns, so that none
-- waits for another. fence grows with each claim; a result counts only with
-- the fence that its claim got. lost counts claims that ended without a result.
drop table deliveries;
create table deliveries (
    env_id          bigint   not null,
    id              text     not null,
    notification_id bigint   not null,
    user_id         bigint   not null,
    send_id         bigint   not null,
    channel         smallint not null,
    lane            bigint   not null,
    state           smallint not null,
    reason          smallint not null,
    address         text     not null default '',
    platform        text     not null default '',
    carrier         text     not null default '',
    unless          smallint not null default 0,
    attempt         integer  not null default 0,
    tries           integer  not null default 0,
    fence           integer  not null default 0,
    lost            smallint not null default 0,
    run_at          bigint   not null,
    began_at        bigint   not null default 0,
    expires_at      bigint   not null default 0,
    provider_id     text     not null default '',
    message_id      text     not null default '',
    detail          text     not null default '',
    created_at      bigint   not null,
    updated_at      bigint   not null,
    primary key (env_id, id)
);
create index deliveries_notification on deliveries (env_id, notification_id);
create index deliveries_due on deliveries (lane, run_at) where state <= 2;
create index deliveries_log on deliveries (env_id, created_at, id);
-- Dead letters, and what else has ended otherwise than sent.
create index deliveries_failed on deliveries (env_id, state, created_at, id) where state in (4, 8, 10);
create index deliveries_message on deliveries (env_id, provider_id, message_id) where message_id <> '';
create index deliveries_expiry on deliveries (expires_at) where state = 1 and expires_at > 0;

-- attempts: each try of a delivery. class 0: it was taken.
create table attempts (
    env_id      bigint   not null,
    delivery_id text     not null,
    n           integer  not null,
    provider_id text     not null,
    kind        text     not null,
    started_at  bigint   not null,
    took        bigint   not null,
    class       smallint not null,
    status      integer  not null,
    message_id  text     not null,
    answer      text     not null,
    detail      text     not null,
    next_at     bigint   not null,
    primary key (env_id, delivery_id, n)
);

-- suppressions: addresses that nothing is sent to. hash is the SHA-256 of the
-- address.
create table suppressions (
    env_id     bigint   not null references environments (id),
    channel    smallint not null,
    hash       text     not null,
    id         text     not null,
    address    text     not null,
    reason     text     not null,
    detail     text     not null,
    created_at bigint   not null,
    expires_at bigint   not null,
    primary key (env_id, channel, hash),
    unique (env_id, id)
);
create index suppressions_log on suppressions (env_id, created_at, id);

-- send_options: what a send says about how it is delivered, for the few that
-- say anything; as JSON (model.SendOptions).
create table send_options (
    env_id  bigint not null,
    send_id bigint not null,
    options text   not null,
    primary key (env_id, send_id),
    foreign key (env_id, send_id) references sends (env_id, id) on delete cascade
);
