import com.github.benmanes.caffeine.cache.Cache;
import com.github.benmanes.caffeine.cache.Caffeine;
import java.util.Scanner;
import java.util.SplittableRandom;
import java.util.concurrent.CountDownLatch;

// Caffeine under the same load as the C++ contenders. It runs one round for each line on its standard input:
//   java -cp caffeine.jar CaffeineRival.java KEYS CAPACITY get|read_through|mixed PUT_SHARE THREADS number|string
// The line is the length of the round in seconds; the answer is "operations gets hits wrong rate" in one line. With the
// line "memory" it answers with the bytes of heap that the cache takes.
public class CaffeineRival {
  static final int SEQUENCE = 1 << 21;

  // As zipf_ranks in workload.hpp.
  static int[] zipf(int keys, long seed) {
    final double s = 0.99;
    SplittableRandom random = new SplittableRandom(seed);
    double left = integral(1.5, s) - 1, right = integral(keys + 0.5, s);
    double sure = 2 - inverse(integral(2.5, s) - Math.pow(2, -s), s);
    int[] ranks = new int[SEQUENCE];
    for (int i = 0; i < SEQUENCE && keys > 1; ) {
      double area = right + random.nextDouble() * (left - right);
      double x = inverse(area, s);
      double k = Math.min(Math.max(Math.floor(x + 0.5), 1), keys);
      if (k - x <= sure || area >= integral(k + 0.5, s) - Math.pow(k, -s)) ranks[i++] = (int) k - 1;
    }
    return ranks;
  }
  static double integral(double x, double s) { return (Math.pow(x, 1 - s) - 1) / (1 - s); }
  static double inverse(double area, double s) { return Math.pow(1 + area * (1 - s), 1 / (1 - s)); }

  static Object key(int rank, boolean strings) {
    long bits = (rank + 1L) * 0x9E3779B97F4A7C15L;
    if (!strings) return bits;
    StringBuilder text = new StringBuilder("user:");
    for (int i = 0; i < 15; i++) text.append((char) ('a' + (bits >>> (4 * i) & 15)));
    return text.toString();
  }

  static volatile boolean stop;

  static final class Worker implements Runnable {
    final Cache<Object, Long> cache;
    final Object[] keys;  // ready objects: a Java program that calls a cache has its keys boxed already
    final int[] ranks;
    final boolean readThrough, mixed;
    final int putShare;
    int at;
    long operations, gets, hits, wrong;
    double rate;
    CountDownLatch start;

    Worker(Cache<Object, Long> cache, Object[] keys, int[] ranks, String what, int putShare) {
      this.cache = cache;
      this.keys = keys;
      this.ranks = ranks;
      this.readThrough = what.equals("read_through");
      this.mixed = what.equals("mixed");
      this.putShare = putShare;
    }

    @Override public void run() {
      try {
        start.await();
      } catch (InterruptedException e) {
        return;
      }
      operations = gets = hits = wrong = 0;
      long begin = System.nanoTime();
      while (!stop) stretch(512);
      rate = operations / ((System.nanoTime() - begin) / 1e9);
    }

    void stretch(int count) {
      for (int i = 0; i < count; i++) {
        int rank = ranks[at];
        Object key = keys[rank];
        if (mixed && Integer.compareUnsigned(i * 0x9E3779B1, putShare) < 0) {
          cache.put(key, (long) rank);
        } else {
          Long value = cache.getIfPresent(key);
          gets++;
          if (value != null) {
            hits++;
            if (value != rank) wrong++;
          } else if (readThrough) {
            cache.put(key, (long) rank);
          }
        }
        at = at + 1 == SEQUENCE ? 0 : at + 1;
      }
      operations += count;
    }
  }

  static Worker[] round(Worker[] workers, double seconds) throws InterruptedException {
    stop = false;
    CountDownLatch start = new CountDownLatch(1);
    Thread[] threads = new Thread[workers.length];
    for (int i = 0; i < workers.length; i++) {
      workers[i].start = start;
      threads[i] = new Thread(workers[i]);
      threads[i].start();
    }
    start.countDown();
    Thread.sleep((long) (seconds * 1000));
    stop = true;
    for (Thread thread : threads) thread.join();
    return workers;
  }

  static long heap() {
    Runtime runtime = Runtime.getRuntime();
    for (int i = 0; i < 3; i++) System.gc();
    return runtime.totalMemory() - runtime.freeMemory();
  }

  public static void main(String[] args) throws InterruptedException {
    int count = Integer.parseInt(args[0]);
    int capacity = Integer.parseInt(args[1]);
    int threads = Integer.parseInt(args[4]);
    boolean strings = args[5].equals("string");
    long before = heap();
    Caffeine<Object, Object> builder = Caffeine.newBuilder().maximumSize(capacity);
    // Its upkeep on the caller's thread: with as many threads as processors that is faster than a pool beside them.
    if (!Boolean.getBoolean("pool")) builder.executor(Runnable::run);
    Cache<Object, Long> cache = builder.build();
    Scanner lines = new Scanner(System.in);
    if (threads == 0) {  // memory only: the keys belong to the cache
      for (int rank = capacity + capacity / 4; rank-- > 0; ) cache.put(key(rank, strings), (long) rank);
      cache.cleanUp();
      System.out.println((heap() - before) + " " + cache.estimatedSize());
      return;
    }
    Object[] keys = new Object[count];
    for (int rank = 0; rank < count; rank++) keys[rank] = key(rank, strings);
    for (int rank = Math.min(count, capacity); rank-- > 0; ) cache.put(keys[rank], (long) rank);
    Worker[] workers = new Worker[threads];
    for (int i = 0; i < threads; i++)
      workers[i] = new Worker(cache, keys, zipf(count, i + 1), args[2], Integer.parseUnsignedInt(args[3]));
    for (int i = 0; i < 4; i++) round(workers, 0.5);  // for the compiler and the contents
    System.out.println("ready");
    System.out.flush();
    while (lines.hasNextLine()) {
      long operations = 0, gets = 0, hits = 0, wrong = 0;
      double rate = 0;
      for (Worker worker : round(workers, Double.parseDouble(lines.nextLine()))) {
        operations += worker.operations;
        gets += worker.gets;
        hits += worker.hits;
        wrong += worker.wrong;
        rate += worker.rate;
      }
      System.out.println(operations + " " + gets + " " + hits + " " + wrong + " " + rate);
      System.out.flush();
    }
  }
}
