-- What has ended otherwise than in SENT, which most does. What goes from QUEUED to SENT is never in it.
create index deliveries_ended on deliveries (env_id, state, created_at, id) where state >= 4;
drop index deliveries_failed;
