-- push_keys: the key pair with which an environment signs web pushes (VAPID),
-- made when it is first asked for. Subscriptions are bound to it, so there is
-- one for each environment, and it stays.
create table push_keys (
    env_id     bigint not null primary key references environments (id),
    public_key text   not null,
    sealed     bytea  not null,
    created_at bigint not null
);
