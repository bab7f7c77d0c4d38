-- Deliveries in the order in which they changed, for those who watch them.
create index deliveries_changed on deliveries (env_id, updated_at, id);
