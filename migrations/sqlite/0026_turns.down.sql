drop index webhook_events_failed;
drop table webhook_leftovers;
drop trigger users_update;
create trigger users_update after update on users when exists (select 1 from segments where env_id = new.env_id)
    begin insert into segment_changes (env_id, user_id) values (new.env_id, new.id); end;
alter table segments drop column evaluated_at;
