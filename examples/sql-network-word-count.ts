/** Spark's SqlNetworkWordCount: counts the words of a batch with SQL, in SQLite and not Spark SQL.
 *
 *   npm install libsql
 *   nc -lk 9999
 *   npx millrace run examples/sql-network-word-count.ts
 *
 * The table lives as long as its batch. To keep rows, exactly once: `sqliteSink` (docs/sinks.md).
 * @module */
import { definePipeline, seconds } from 'millrace';

export default definePipeline(
  { name: 'sql-network-word-count', batchInterval: seconds(2) },
  (ssc) => {
    const lines = ssc.socketTextStream('127.0.0.1', 9999);
    const words = lines.flatMap((line) => line.split(' '));
    words.foreachBatch(async (batch, { batchTime }) => {
      // Here and not above: the driver alone runs this function, so no other thread loads SQLite.
      const { default: Database } = await import('libsql');
      const db = new Database(':memory:');
      try {
        db.exec('CREATE TABLE words (word TEXT)');
        const insert = db.prepare('INSERT INTO words VALUES (?)');
        for (const word of await batch.collect()) insert.run(word);
        const query = 'SELECT word, count(*) AS total FROM words GROUP BY word ORDER BY word';
        console.log(`========= ${batchTime} =========`);
        console.table(db.prepare(query).all());
      } finally {
        db.close();
      }
    });
  },
);
