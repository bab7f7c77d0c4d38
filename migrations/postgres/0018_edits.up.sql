-- edition: how often what a send says was edited; its content has the same
-- number. editing: 1 while there are inboxes that have not been told; those of
-- users up to edit_reached have.
alter table sends add column edition bigint not null default 0;
alter table sends add column editing smallint not null default 0;
alter table sends add column edit_reached bigint not null default 0;
create index sends_editing on sends (env_id, id) where editing = 1;

-- edition: the least that is to be shown of what the send says; null: as it was
-- sent. What is remembered of contents is held to it.
alter table notifications add column edition bigint;

-- edition: of the content that the attempt carried.
alter table attempts add column edition bigint not null default 0;
