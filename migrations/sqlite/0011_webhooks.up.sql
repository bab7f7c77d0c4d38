-- webhook_endpoints: where an environment's application is told what happens.
-- types is a JSON list, empty for all of them. sealed and previous are secrets,
-- encrypted with the master key; the second one signs too until previous_until.
-- failures counts calls in a row that failed, the first at failing_since; none is
-- made before wait_until. trouble says why the server disabled it.
create table webhook_endpoints (
    env_id         bigint  not null references environments (id),
    id             text    not null,
    url            text    not null,
    description    text    not null,
    types          text    not null,
    enabled        boolean not null,
    sealed         blob    not null,
    previous       blob,
    previous_until bigint,
    failures       integer not null default 0,
    failing_since  bigint,
    wait_until     bigint  not null default 0,
    trouble        text    not null default '',
    created_at     bigint  not null,
    updated_at     bigint  not null,
    primary key (env_id, id)
);

-- webhook_events: what an endpoint is told, written with what it tells of; the
-- table is the queue. States 1 and 2 are due at run_at, which in state 2 is the
-- end of the lease. fence grows with each claim. It has no foreign key: what
-- happens does not wait for an endpoint that is being deleted.
create table webhook_events (
    env_id      bigint   not null,
    endpoint_id text     not null,
    id          text     not null,
    type        text     not null,
    user_id     bigint   not null,
    data        text     not null,
    state       smallint not null,
    attempt     integer  not null default 0,
    tries       integer  not null default 0,
    fence       integer  not null default 0,
    run_at      bigint   not null,
    began_at    bigint   not null default 0,
    occurred_at bigint   not null,
    updated_at  bigint   not null,
    primary key (env_id, endpoint_id, id)
);
create index webhook_events_due on webhook_events (env_id, endpoint_id, run_at) where state <= 2;
create index webhook_events_user on webhook_events (env_id, user_id);
create index webhook_events_age on webhook_events (occurred_at);

-- webhook_attempts: each call about an event. class 0: it was taken.
create table webhook_attempts (
    env_id      bigint   not null,
    endpoint_id text     not null,
    event_id    text     not null,
    n           integer  not null,
    started_at  bigint   not null,
    took        bigint   not null,
    class       smallint not null,
    status      integer  not null,
    answer      text     not null,
    detail      text     not null,
    next_at     bigint   not null,
    primary key (env_id, endpoint_id, event_id, n)
);
