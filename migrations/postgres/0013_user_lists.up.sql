-- last_seen_at: when the user last showed up here; 0: never.
alter table users add column last_seen_at bigint not null default 0;

-- What lists of users are ordered by, and what few users are chosen by.
create index users_signed_up on users (env_id, coalesce(signed_up_at, created_at), id);
create index users_last_seen on users (env_id, last_seen_at, id);
create index profiles_by_email on profiles (env_id, (coalesce(email, '') collate "C"), user_id);
create index users_disabled on users (env_id, id) where not enabled;
create index users_archived on users (env_id, id) where archived_at is not null;
create index users_accounts on users (env_id, id) where kind <> 'PERSON';

-- What a search asks for the beginning of. In the order of bytes only the case
-- of ASCII letters is left out.
create index users_search on users (env_id, lower(identifier), id);
create index profiles_search_email on profiles (env_id, lower(email collate "C"), user_id);
create index profiles_search_phone on profiles (env_id, (phone_number collate "C"), user_id) where phone_number is not null;
create index profiles_search_first on profiles (env_id, lower((attributes::json ->> 'firstName') collate "C"), user_id);
create index profiles_search_last on profiles (env_id, lower((attributes::json ->> 'lastName') collate "C"), user_id);

-- profile_document is a profile in a form whose index finds attributes by value,
-- under the environment; null for what the database's own JSON cannot hold,
-- such as a number of 200,000 digits.
create function profile_document(env_id bigint, attributes text) returns jsonb
    language plpgsql immutable strict parallel safe cost 1000
    as $$
begin
    return ('{"' || env_id::text || '":' || attributes || '}')::jsonb;
exception when others then
    return null;
end
$$;
create index profiles_document on profiles using gin (profile_document(env_id, attributes) jsonb_path_ops);
