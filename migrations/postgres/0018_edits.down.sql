alter table attempts drop column edition;
alter table notifications drop column edition;
drop index sends_editing;
alter table sends drop column edit_reached;
alter table sends drop column editing;
alter table sends drop column edition;
