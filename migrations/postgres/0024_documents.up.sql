-- profile_document catches what JSON cannot hold, which no part of a parallel
-- plan may do: such a plan failed.
alter function profile_document(bigint, text) parallel unsafe;
