drop table send_attachments;
drop table send_skips;
drop table interactions;
