create index deliveries_failed on deliveries (env_id, state, created_at, id) where state in (4, 8, 10);
drop index deliveries_ended;
