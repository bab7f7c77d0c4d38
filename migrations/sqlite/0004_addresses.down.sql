alter table devices drop column enabled;
alter table devices drop column provider;
drop table addresses;
