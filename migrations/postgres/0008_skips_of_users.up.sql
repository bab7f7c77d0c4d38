-- Whoever is deleted is not named any more by the sends that left them out.
create index send_skips_identifier on send_skips (env_id, identifier);
