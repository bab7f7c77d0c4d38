-- What the notification says to its user alone: an object of title, body, icon and
-- url; null: what its send says. It counts for the texts that the send's content
-- calls personal. A tombstone has none.
alter table notifications add column personal text;
