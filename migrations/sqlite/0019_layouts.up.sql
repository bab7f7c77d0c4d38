-- layouts: frames for the e-mails of templates. One that was deleted keeps its row
-- and versions, for the sends that were accepted with them; its identifier is free.
create table layouts (
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
create unique index layouts_identifier on layouts (env_id, identifier) where deleted_at is null;

-- layout_versions: each content that a layout has had, as JSON.
create table layout_versions (
    env_id     bigint not null,
    layout_id  bigint not null,
    version    bigint not null,
    content    text   not null,
    created_at bigint not null,
    primary key (env_id, layout_id, version),
    foreign key (env_id, layout_id) references layouts (env_id, id) on delete cascade
);

-- default_layouts: the layout of templates that choose none.
create table default_layouts (
    env_id    bigint not null primary key,
    layout_id bigint not null,
    foreign key (env_id, layout_id) references layouts (env_id, id)
);

-- template_layouts: what templates chose instead; null: no layout.
create table template_layouts (
    env_id      bigint not null,
    template_id bigint not null,
    layout_id   bigint,
    primary key (env_id, template_id),
    foreign key (env_id, template_id) references templates (env_id, id) on delete cascade,
    foreign key (env_id, layout_id) references layouts (env_id, id)
);
create index template_layouts_layout on template_layouts (env_id, layout_id);
