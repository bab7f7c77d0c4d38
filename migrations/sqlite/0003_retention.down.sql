drop index inbox_marks_age;
drop index notifications_tombstones;
