drop table push_keys;
