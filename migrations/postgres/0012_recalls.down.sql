drop table dedupes;
drop table collapses;
drop index sends_recalling;
alter table sends drop column recall_reached;
alter table sends drop column recall;
alter table sends drop column recalled_at;
