-- erasures: receipts of users who were erased. They name nobody: hash is the
-- SHA-256 of salt and identifier. work is what is looked for yet, as JSON; it
-- names the user and is emptied when the erasure is done. counts is how many
-- rows were found, by kind, as JSON.
create table erasures (
    env_id      bigint not null references environments (id),
    id          text   not null,
    user_id     bigint not null,
    status      text   not null check (status in ('RUNNING', 'DONE')),
    salt        text   not null,
    hash        text   not null,
    work        text   not null,
    counts      text   not null,
    created_at  bigint not null,
    finished_at bigint,
    primary key (env_id, id)
);
create index erasures_running on erasures (created_at, env_id, id) where status = 'RUNNING';
