alter function profile_document(bigint, text) parallel safe;
