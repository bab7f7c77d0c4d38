-- templates: what sends say, written once. One that was deleted keeps its row and
-- versions, for the sends that were accepted with them; its identifier is free.
create table templates (
    env_id     bigint not null references environments (id),
    id         bigint not null,
    identifier text   not null,
    name       text   not null,
    version    bigint not null,
    created_at bigint not null,
    updated_at bigint not null,
    deleted_at bigint,
    primary key (env_id, id)
);
create unique index templates_identifier on templates (env_id, identifier) where deleted_at is null;

-- template_versions: each content that a template has had, as JSON.
create table template_versions (
    env_id      bigint not null,
    template_id bigint not null,
    version     bigint not null,
    content     text   not null,
    created_at  bigint not null,
    primary key (env_id, template_id, version),
    foreign key (env_id, template_id) references templates (env_id, id) on delete cascade
);
