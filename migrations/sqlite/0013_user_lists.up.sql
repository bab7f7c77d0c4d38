-- last_seen_at: when the user last showed up here; 0: never.
alter table users add column last_seen_at bigint not null default 0;

-- What lists of users are ordered by, and what few users are chosen by.
create index users_signed_up on users (env_id, coalesce(signed_up_at, created_at), id);
create index users_last_seen on users (env_id, last_seen_at, id);
create index profiles_by_email on profiles (env_id, coalesce(email, ''), user_id);
create index users_disabled on users (env_id, id) where not enabled;
create index users_archived on users (env_id, id) where archived_at is not null;
create index users_accounts on users (env_id, id) where kind <> 'PERSON';

-- What a search asks for the beginning of; lower leaves out the case of ASCII
-- letters only.
create index users_search on users (env_id, lower(identifier), id);
create index profiles_search_email on profiles (env_id, lower(email), user_id);
create index profiles_search_first on profiles (env_id, lower(attributes ->> 'firstName'), user_id);
create index profiles_search_last on profiles (env_id, lower(attributes ->> 'lastName'), user_id);
