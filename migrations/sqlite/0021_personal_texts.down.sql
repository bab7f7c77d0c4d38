alter table notifications drop column personal;
