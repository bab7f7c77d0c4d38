-- An import that is canceled is DONE to whoever does not know of it.
alter table imports add column canceled boolean not null default false;
