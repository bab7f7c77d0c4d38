drop index webhook_events_failed;
drop table webhook_leftovers;
drop trigger users_update on users;
drop function note_user();
create trigger users_update after update on users referencing new table as changed for each statement execute function note_users();
alter table segments drop column evaluated_at;
