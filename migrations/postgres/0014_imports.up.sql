-- imports: files of users that were uploaded. columns and errors are JSON. parts
-- is how many parts were staged, next the part whose turn it is.
create table imports (
    env_id      bigint  not null references environments (id),
    id          text    not null,
    status      text    not null check (status in ('UPLOADING', 'RUNNING', 'DONE')),
    dry_run     boolean not null,
    columns     text    not null,
    parts       bigint  not null,
    next        bigint  not null,
    total       bigint  not null,
    processed   bigint  not null,
    created     bigint  not null,
    changed     bigint  not null,
    same        bigint  not null,
    invalid     bigint  not null,
    duplicates  bigint  not null,
    errors      text    not null,
    clean       boolean not null,
    created_at  bigint  not null,
    updated_at  bigint  not null,
    finished_at bigint,
    primary key (env_id, id)
);
create index imports_open on imports (env_id, created_at, id) where not clean;

-- import_parts: rows that wait for their turn, as JSON; each part goes in the
-- transaction that makes its users.
create table import_parts (
    env_id    bigint not null,
    import_id text   not null,
    part      bigint not null,
    rows      text   not null,
    primary key (env_id, import_id, part),
    foreign key (env_id, import_id) references imports (env_id, id) on delete cascade
);

-- import_keys: hashes of the identifiers that a file has had so far, with their
-- lines; they go when it is done.
create table import_keys (
    env_id    bigint not null,
    import_id text   not null,
    hash      bigint not null,
    line      bigint not null,
    primary key (env_id, import_id, hash),
    foreign key (env_id, import_id) references imports (env_id, id) on delete cascade
);
