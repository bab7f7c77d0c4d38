drop table template_layouts;
drop table default_layouts;
drop table layout_versions;
drop table layouts;
