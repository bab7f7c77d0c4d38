drop index send_skips_identifier;
