BEGIN TRANSACTION;
CREATE TABLE barred_users (
	user_key VARCHAR NOT NULL, 
	bar VARCHAR NOT NULL, 
	PRIMARY KEY (user_key, bar)
);
INSERT INTO "barred_users" VALUES('user-9','erased');
INSERT INTO "barred_users" VALUES('user-4','opted_out');
CREATE TABLE batch_items (
	stream VARCHAR NOT NULL, 
	turn_id VARCHAR NOT NULL, 
	batch_id VARCHAR NOT NULL, 
	PRIMARY KEY (stream, turn_id), 
	FOREIGN KEY(stream) REFERENCES streams (stream), 
	FOREIGN KEY(batch_id) REFERENCES batches (batch_id)
);
INSERT INTO "batch_items" VALUES('default','turn-20','default-000001');
INSERT INTO "batch_items" VALUES('default','turn-21','default-000001');
INSERT INTO "batch_items" VALUES('default','turn-12','default-000001');
INSERT INTO "batch_items" VALUES('default','turn-13','default-000001');
INSERT INTO "batch_items" VALUES('default','turn-14','default-000001');
INSERT INTO "batch_items" VALUES('default','turn-10','default-000001');
INSERT INTO "batch_items" VALUES('default','turn-11','default-000003');
INSERT INTO "batch_items" VALUES('default','turn-2','default-000003');
INSERT INTO "batch_items" VALUES('default','turn-0','default-000003');
CREATE TABLE batches (
	batch_id VARCHAR NOT NULL, 
	stream VARCHAR NOT NULL, 
	token VARCHAR NOT NULL, 
	state VARCHAR NOT NULL, 
	snapshot INTEGER NOT NULL, 
	created_at DATETIME NOT NULL, 
	expires_at DATETIME NOT NULL, 
	PRIMARY KEY (batch_id), 
	FOREIGN KEY(stream) REFERENCES streams (stream), 
	FOREIGN KEY(snapshot) REFERENCES commits (commit_id)
);
INSERT INTO "batches" VALUES('default-000001','default','00000000000000000000000000000003','finished',9,'2026-11-21 04:00:00.000000','2026-11-21 16:00:00.000000');
INSERT INTO "batches" VALUES('default-000002','default','00000000000000000000000000000006','released',10,'2026-11-21 04:00:00.000000','2026-11-21 16:00:00.000000');
INSERT INTO "batches" VALUES('default-000003','default','00000000000000000000000000000009','leased',10,'2026-11-21 04:00:00.000000','2026-11-21 16:00:00.000000');
CREATE TABLE commits (
	commit_id INTEGER NOT NULL PRIMARY KEY AUTOINCREMENT, 
	kind VARCHAR NOT NULL, 
	subject VARCHAR NOT NULL, 
	committed_at DATETIME NOT NULL
);
INSERT INTO "commits" VALUES(1,'publish','ingest-0','2026-11-19 03:00:00.000000');
INSERT INTO "commits" VALUES(2,'publish','mine-0','2026-11-19 03:00:00.000000');
INSERT INTO "commits" VALUES(3,'publish','ingest-1','2026-11-20 03:00:00.000000');
INSERT INTO "commits" VALUES(4,'publish','mine-1','2026-11-20 03:00:00.000000');
INSERT INTO "commits" VALUES(5,'publish','ingest-2','2026-11-21 03:00:00.000000');
INSERT INTO "commits" VALUES(6,'publish','mine-2','2026-11-21 03:00:00.000000');
INSERT INTO "commits" VALUES(7,'publish','ingest-1-corrected','2026-11-21 04:00:00.000000');
INSERT INTO "commits" VALUES(8,'publish','mine-2-small','2026-11-21 04:00:00.000000');
INSERT INTO "commits" VALUES(9,'publish','ingest-0-emptied','2026-11-21 04:00:00.000000');
INSERT INTO "commits" VALUES(10,'model','0001-default-000001','2026-11-21 05:00:00.000000');
CREATE TABLE files (
	path VARCHAR NOT NULL, 
	table_name VARCHAR NOT NULL, 
	log_date DATE NOT NULL, 
	part VARCHAR NOT NULL, 
	rows BIGINT NOT NULL, 
	bytes BIGINT NOT NULL, 
	sha256 VARCHAR NOT NULL, 
	stats JSON NOT NULL, 
	generation INTEGER NOT NULL, 
	added_commit INTEGER NOT NULL, 
	removed_commit INTEGER, 
	PRIMARY KEY (path), 
	FOREIGN KEY(table_name, log_date, part) REFERENCES partitions (table_name, log_date, part), 
	FOREIGN KEY(added_commit) REFERENCES commits (commit_id), 
	FOREIGN KEY(removed_commit) REFERENCES commits (commit_id)
);
INSERT INTO "files" VALUES('data/turns/log_date=2026-11-18/e7db0503b283432fa1a8afcbcf4018c6.parquet','turns','2026-11-18','log',4,6751,'451b4cede1512737e329947d4e556cf4d368ac707c67afbef0ad830620ca0de4','{}',1,1,9);
INSERT INTO "files" VALUES('data/dsat_turns/log_date=2026-11-18/0ce445b431b148ec914dbd238e546dd4.parquet','dsat_turns','2026-11-18','rules@1',5,7122,'e3d6185e3cb6743bc656f8dbe2f724ea68ce49a113a3b59fc1f808cc99cc73fd','{"event_ts": ["2026-11-19T03:00:00+00:00", "2026-11-19T03:00:00+00:00"]}',1,2,NULL);
INSERT INTO "files" VALUES('data/turns/log_date=2026-11-19/acc46ea49a7543b593ac35a4e9ab9f89.parquet','turns','2026-11-19','log',4,6747,'832b46f65baf6054e27d3e0dcb7ab54cf9813b5b0f5f67f1ff7f72fb6cf14c83','{}',1,3,7);
INSERT INTO "files" VALUES('data/dsat_turns/log_date=2026-11-19/9ae45f6bc7bf4a5f930095ca1fbda19a.parquet','dsat_turns','2026-11-19','rules@1',5,7136,'efa1e9543a4bc60fe8e1c436424c4ccaad0d763b5b1a5a53a3a9fd239b7c7a77','{"event_ts": ["2026-11-20T03:00:00+00:00", "2026-11-20T03:00:00+00:00"]}',1,4,NULL);
INSERT INTO "files" VALUES('data/turns/log_date=2026-11-20/522294d03bd94204bdff63c00af468fe.parquet','turns','2026-11-20','log',4,6745,'c6c037dffe032550382d5b0a26ebecda873282563a649016eda2237d2ee318a2','{}',1,5,NULL);
INSERT INTO "files" VALUES('data/dsat_turns/log_date=2026-11-20/945ebc818b074b2bb40377958a34db15.parquet','dsat_turns','2026-11-20','rules@1',5,7136,'57e4f671488538d8133c5e892490fe6e73f6b4b9e9e53f7761c2751408a438de','{"event_ts": ["2026-11-21T03:00:00+00:00", "2026-11-21T03:00:00+00:00"]}',1,6,NULL);
INSERT INTO "files" VALUES('data/turns/log_date=2026-11-19/cc071e8058684e22ae429118c9686fc9.parquet','turns','2026-11-19','log',1,6654,'c37006ab4bccb560bd907dce2223b8d1f129425c09c55d0e59453fcedb753d37','{}',2,7,NULL);
INSERT INTO "files" VALUES('data/signals/log_date=2026-11-20/893880e6e8c048108a9025e362d955b2.parquet','signals','2026-11-20','small@7',1,6301,'939ae1f2d929d1c165508bc58b6cdaf68f3d08620b091d0b454ea7864a5e084e','{}',1,8,NULL);
INSERT INTO "files" VALUES('data/dsat_turns/log_date=2026-11-20/f18cdaba533444e091c9d01b7fae928a.parquet','dsat_turns','2026-11-20','small@7',2,7086,'63097770a8c02b274ae5ad3a0d1760ce4120f9d8735fd855f2026ffe7926241e','{"event_ts": ["2026-11-21T04:00:00+00:00", "2026-11-21T04:00:00+00:00"]}',1,8,NULL);
CREATE TABLE models (
	version VARCHAR NOT NULL, 
	parent VARCHAR, 
	batch_id VARCHAR NOT NULL, 
	created_at DATETIME NOT NULL, 
	promoted BOOLEAN NOT NULL, 
	manifest_sha256 VARCHAR NOT NULL, 
	PRIMARY KEY (version), 
	FOREIGN KEY(batch_id) REFERENCES batches (batch_id)
);
INSERT INTO "models" VALUES('0001-default-000001',NULL,'default-000001','2026-11-21 04:00:00.000000',1,'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa');
CREATE TABLE partitions (
	table_name VARCHAR NOT NULL, 
	log_date DATE NOT NULL, 
	part VARCHAR NOT NULL, 
	generation INTEGER NOT NULL, 
	head INTEGER NOT NULL, 
	PRIMARY KEY (table_name, log_date, part), 
	FOREIGN KEY(head) REFERENCES commits (commit_id)
);
INSERT INTO "partitions" VALUES('rejects','2026-11-18','log',1,1);
INSERT INTO "partitions" VALUES('turns','2026-11-18','log',2,9);
INSERT INTO "partitions" VALUES('dsat_turns','2026-11-18','rules@1',1,2);
INSERT INTO "partitions" VALUES('signals','2026-11-18','rules@1',1,2);
INSERT INTO "partitions" VALUES('rejects','2026-11-19','log',2,7);
INSERT INTO "partitions" VALUES('turns','2026-11-19','log',2,7);
INSERT INTO "partitions" VALUES('dsat_turns','2026-11-19','rules@1',1,4);
INSERT INTO "partitions" VALUES('signals','2026-11-19','rules@1',1,4);
INSERT INTO "partitions" VALUES('rejects','2026-11-20','log',1,5);
INSERT INTO "partitions" VALUES('turns','2026-11-20','log',1,5);
INSERT INTO "partitions" VALUES('dsat_turns','2026-11-20','rules@1',1,6);
INSERT INTO "partitions" VALUES('signals','2026-11-20','rules@1',1,6);
INSERT INTO "partitions" VALUES('dsat_turns','2026-11-20','small@7',1,8);
INSERT INTO "partitions" VALUES('signals','2026-11-20','small@7',1,8);
CREATE TABLE runs (
	run_id VARCHAR NOT NULL, 
	stage VARCHAR NOT NULL, 
	log_date DATE NOT NULL, 
	state VARCHAR NOT NULL, 
	started_at DATETIME NOT NULL, 
	ended_at DATETIME, 
	commit_id INTEGER, 
	counts JSON, 
	reason VARCHAR, 
	PRIMARY KEY (run_id), 
	FOREIGN KEY(commit_id) REFERENCES commits (commit_id)
);
INSERT INTO "runs" VALUES('ingest-0','mine','2026-11-18','committed','2026-11-19 03:00:00.000000','2026-11-19 03:00:00.000000',1,'{"lines_in": 4}',NULL);
INSERT INTO "runs" VALUES('mine-0','mine','2026-11-18','committed','2026-11-19 03:00:00.000000','2026-11-19 03:00:00.000000',2,'{"follow_ups": 5}',NULL);
INSERT INTO "runs" VALUES('ingest-1','mine','2026-11-19','committed','2026-11-20 03:00:00.000000','2026-11-20 03:00:00.000000',3,'{"lines_in": 4}',NULL);
INSERT INTO "runs" VALUES('mine-1','mine','2026-11-19','committed','2026-11-20 03:00:00.000000','2026-11-20 03:00:00.000000',4,'{"follow_ups": 5}',NULL);
INSERT INTO "runs" VALUES('ingest-2','mine','2026-11-20','committed','2026-11-21 03:00:00.000000','2026-11-21 03:00:00.000000',5,'{"lines_in": 4}',NULL);
INSERT INTO "runs" VALUES('mine-2','mine','2026-11-20','committed','2026-11-21 03:00:00.000000','2026-11-21 03:00:00.000000',6,'{"follow_ups": 5}',NULL);
INSERT INTO "runs" VALUES('ingest-1-corrected','mine','2026-11-19','committed','2026-11-21 04:00:00.000000','2026-11-21 04:00:00.000000',7,'{"lines_in": 1}',NULL);
INSERT INTO "runs" VALUES('mine-2-small','mine','2026-11-20','committed','2026-11-21 04:00:00.000000','2026-11-21 04:00:00.000000',8,'{"follow_ups": 1}',NULL);
INSERT INTO "runs" VALUES('ingest-0-emptied','mine','2026-11-18','committed','2026-11-21 04:00:00.000000','2026-11-21 04:00:00.000000',9,'{}',NULL);
INSERT INTO "runs" VALUES('mine-failed','mine','2026-11-20','failed','2026-11-21 04:00:00.000000','2026-11-21 04:00:00.000000',NULL,NULL,'disk full');
INSERT INTO "runs" VALUES('mine-running','mine','2026-11-20','running','2026-11-21 04:00:00.000000',NULL,NULL,NULL,NULL);
CREATE TABLE schema_version (
	version INTEGER NOT NULL, 
	PRIMARY KEY (version)
);
INSERT INTO "schema_version" VALUES(2);
CREATE TABLE sources (
	log_date DATE NOT NULL, 
	name VARCHAR NOT NULL, 
	size BIGINT NOT NULL, 
	stamp VARCHAR NOT NULL, 
	sha256 VARCHAR NOT NULL, 
	lines BIGINT NOT NULL, 
	duplicates BIGINT NOT NULL, 
	suppressed BIGINT NOT NULL, 
	run_id VARCHAR NOT NULL, 
	PRIMARY KEY (log_date, name), 
	FOREIGN KEY(run_id) REFERENCES runs (run_id)
);
INSERT INTO "sources" VALUES('2026-11-18','/logs/2026-11-18.jsonl',100,'7','0000000000000000000000000000000000000000000000000000000000000000',4,0,0,'ingest-0');
INSERT INTO "sources" VALUES('2026-11-20','/logs/2026-11-20.jsonl',102,'7','2222222222222222222222222222222222222222222222222222222222222222',4,2,0,'ingest-2');
INSERT INTO "sources" VALUES('2026-11-19','/logs/2026-11-19.jsonl',50,'8','9999999999999999999999999999999999999999999999999999999999999999',1,0,0,'ingest-1-corrected');
CREATE TABLE streams (
	stream VARCHAR NOT NULL, 
	PRIMARY KEY (stream)
);
INSERT INTO "streams" VALUES('default');
CREATE TABLE watermarks (
	stage VARCHAR NOT NULL, 
	log_date DATE NOT NULL, 
	PRIMARY KEY (stage)
);
INSERT INTO "watermarks" VALUES('mine','2026-11-20');
CREATE INDEX files_by_partition ON files (table_name, log_date, part);
CREATE INDEX ix_sources_sha256 ON sources (sha256);
CREATE INDEX ix_batch_items_batch_id ON batch_items (batch_id);
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('commits',10);
COMMIT;
