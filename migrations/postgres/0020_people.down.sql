alter table imports drop column canceled;
