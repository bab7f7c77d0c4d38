-- interactions: what a user did to a notification by pressing a block: the
-- customer's state it has since, and what was filled in, as JSON. seq counts
-- them.
create table interactions (
    env_id          bigint not null,
    notification_id bigint not null,
    seq             bigint not null,
    user_id         bigint not null,
    state           text   not null,
    data            text,
    at              bigint not null,
    primary key (env_id, notification_id, seq),
    foreign key (env_id, user_id) references users (env_id, id) on delete cascade
);
create index interactions_user on interactions (env_id, user_id);

-- send_skips: recipients named one by one whom a send left out, and why.
create table send_skips (
    env_id     bigint   not null,
    send_id    bigint   not null,
    identifier text     not null,
    reason     smallint not null,
    primary key (env_id, send_id, identifier),
    foreign key (env_id, send_id) references sends (env_id, id) on delete cascade
);

-- send_attachments: files for e-mails, beside the send, so that reading an inbox
-- never reads them.
create table send_attachments (
    env_id       bigint  not null,
    send_id      bigint  not null,
    position     integer not null,
    name         text    not null,
    content_type text    not null,
    key          text    not null,
    content      blob    not null,
    primary key (env_id, send_id, position),
    foreign key (env_id, send_id) references sends (env_id, id) on delete cascade
);
