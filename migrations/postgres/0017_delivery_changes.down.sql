drop index deliveries_changed;
