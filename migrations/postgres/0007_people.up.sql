-- unassigned: the identifier was made up here, until the application gives its
-- own. signed_up_at is null where it is the time of creation.
alter table users add column kind text not null default 'PERSON';
alter table users add column unassigned boolean not null default false;
alter table users add column archived_at bigint;
alter table users add column signed_up_at bigint;
create index profiles_phone on profiles (env_id, phone_number) where phone_number is not null;

-- user_aliases: identifiers that a user had before, by renaming or merging.
create table user_aliases (
    env_id     bigint not null,
    identifier text   collate "C" not null,
    user_id    bigint not null,
    created_at bigint not null,
    primary key (env_id, identifier),
    foreign key (env_id, user_id) references users (env_id, id) on delete cascade
);
create index user_aliases_user on user_aliases (env_id, user_id);

-- memberships: users in accounts, which are users too.
create table memberships (
    env_id     bigint not null,
    user_id    bigint not null,
    account_id bigint not null,
    role       text   not null,
    created_at bigint not null,
    primary key (env_id, user_id, account_id),
    foreign key (env_id, user_id) references users (env_id, id) on delete cascade,
    foreign key (env_id, account_id) references users (env_id, id) on delete cascade
);
create index memberships_account on memberships (env_id, account_id, user_id);

-- events: what users did, never changed. value and properties are JSON.
create table events (
    env_id      bigint not null,
    id          text   not null,
    user_id     bigint not null,
    name        text   not null,
    value       text,
    properties  text,
    occurred_at bigint not null,
    created_at  bigint not null,
    primary key (env_id, id)
);
create index events_user on events (env_id, user_id, occurred_at, id);
create index events_name on events (env_id, name, user_id, occurred_at);

-- properties: the attributes that profiles of an environment have had.
create table properties (
    env_id        bigint  not null references environments (id),
    name          text    not null,
    type          text    not null,
    shown         boolean not null,
    first_seen_at bigint  not null,
    primary key (env_id, name)
);

-- merges: a record of every merge, with what was decided.
create table merges (
    env_id          bigint not null,
    id              text   not null,
    user_id         bigint not null,
    from_identifier text   not null,
    decisions       text   not null,
    created_at      bigint not null,
    primary key (env_id, id),
    foreign key (env_id, user_id) references users (env_id, id) on delete cascade
);
create index merges_user on merges (env_id, user_id, id);

alter table topics add column description text not null default '';
alter table topics add column double_opt_in boolean not null default false;
alter table topics add column redirect_url text not null default '';
alter table topics add column archived_at bigint;
alter table topic_members add column subscribed boolean not null default true;
