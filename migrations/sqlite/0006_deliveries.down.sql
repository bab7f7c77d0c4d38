drop table send_options;
drop table suppressions;
drop table attempts;
drop table deliveries;
drop table providers;
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
