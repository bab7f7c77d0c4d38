-- SQLite has no index of documents.
select 1;
