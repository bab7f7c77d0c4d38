-- What is cleaned away is found by its age.
create index notifications_tombstones on notifications (deleted_at) where deleted_at is not null;
create index inbox_marks_age on inbox_marks (at, env_id, user_id);
