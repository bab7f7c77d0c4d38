-- addresses: ways of reaching a user besides the profile's and the devices'.
create table addresses (
    env_id       bigint   not null,
    user_id      bigint   not null,
    id           text     not null,
    channel      smallint not null,
    address      text     not null,
    platform     text     not null,
    provider     text     not null,
    enabled      boolean  not null,
    created_at   bigint   not null,
    last_used_at bigint   not null,
    primary key (env_id, user_id, id),
    unique (env_id, user_id, channel, address),
    foreign key (env_id, user_id) references users (env_id, id) on delete cascade
);
alter table devices add column provider text not null default '';
alter table devices add column enabled boolean not null default true;
