import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Properties;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.serialization.ByteArraySerializer;

/** Kafka's own Java clients, for tests: what they write is read by ours. Each event is `{"number":N,"page":"..."}`. */
public class JavaClients {
  static final String[] COMPRESSIONS = {"none", "gzip", "snappy", "lz4", "zstd"};
  static final int BIG_BYTES = 9_000_000;

  /** compressions BROKERS TOPIC COUNT | transactions BROKERS TOPIC COUNT */
  public static void main(String[] args) throws Exception {
    switch (args[0]) {
      case "compressions" -> compressions(args[1], args[2], Integer.parseInt(args[3]));
      case "transactions" -> transactions(args[1], args[2], Integer.parseInt(args[3]));
      default -> throw new IllegalArgumentException(args[0]);
    }
  }

  /** COUNT events with each compression, in large batches; among them a tombstone, an empty value and one of 9 MB. */
  static void compressions(String brokers, String topic, int count) throws Exception {
    int number = 0;
    for (String compression : COMPRESSIONS) {
      Properties more = new Properties();
      more.put("compression.type", compression);
      try (KafkaProducer<byte[], byte[]> producer = open(brokers, more)) {
        for (int i = 0; i < count; i++) producer.send(event(topic, number++, 600));
        producer.send(new ProducerRecord<>(topic, "user-1".getBytes(), null));
        producer.send(new ProducerRecord<>(topic, null, new byte[0]));
        producer.send(event(topic, number++, BIG_BYTES)).get();
      }
    }
  }

  /** COUNT transactions of 10 events, interleaved from two producers; every third is aborted, with numbers below zero. */
  static void transactions(String brokers, String topic, int count) throws Exception {
    List<KafkaProducer<byte[], byte[]>> producers = List.of(transactional(brokers, topic + "-a"), transactional(brokers, topic + "-b"));
    int number = 0;
    for (int turn = 0; turn < count; turn += 2) {
      for (KafkaProducer<byte[], byte[]> producer : producers) producer.beginTransaction();
      for (int i = 0; i < 10; i++) {
        for (int p = 0; p < 2; p++) {
          boolean aborted = (turn + p) % 3 == 0;
          producers.get(p).send(event(topic, aborted ? -1 - number : number, 50)).get();
          if (!aborted) number++;
        }
      }
      for (int p = 0; p < 2; p++) {
        if ((turn + p) % 3 == 0) producers.get(p).abortTransaction();
        else producers.get(p).commitTransaction();
      }
    }
    for (KafkaProducer<byte[], byte[]> producer : producers) producer.close();
    System.out.println(number);
  }

  static KafkaProducer<byte[], byte[]> transactional(String brokers, String id) {
    Properties more = new Properties();
    more.put("transactional.id", id);
    KafkaProducer<byte[], byte[]> producer = open(brokers, more);
    producer.initTransactions();
    return producer;
  }

  static KafkaProducer<byte[], byte[]> open(String brokers, Properties more) {
    Properties properties = new Properties();
    properties.put("bootstrap.servers", brokers);
    properties.put("linger.ms", "20");
    properties.put("batch.size", "500000");
    properties.put("max.request.size", "" + 2 * BIG_BYTES);
    properties.putAll(more);
    return new KafkaProducer<>(properties, new ByteArraySerializer(), new ByteArraySerializer());
  }

  /** Text that compresses somewhat, as logs do. */
  static ProducerRecord<byte[], byte[]> event(String topic, int number, int bytes) {
    StringBuilder page = new StringBuilder();
    for (long mixed = number + 1; page.length() < bytes - 40; mixed = mixed * 6364136223846793005L + 1) page.append(mixed >>> 40).append('/');
    String value = "{\"number\":" + number + ",\"page\":\"" + page + "\"}";
    return new ProducerRecord<>(topic, ("user-" + number).getBytes(), value.getBytes(StandardCharsets.UTF_8));
  }
}
