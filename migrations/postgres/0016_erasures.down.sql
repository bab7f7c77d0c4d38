drop table erasures;
