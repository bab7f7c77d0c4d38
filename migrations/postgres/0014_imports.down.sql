drop table import_keys;
drop table import_parts;
drop table imports;
