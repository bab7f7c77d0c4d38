drop table template_versions;
drop table templates;
