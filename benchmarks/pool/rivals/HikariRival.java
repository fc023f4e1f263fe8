// HikariCP over a data source whose connections do nothing. Reads lines, answers each with one line:
//   borrow THREADS SECONDS      -> borrows a second of all threads
//   crowd THREADS SECONDS HOLD  -> borrows a second, and the median and 99.9th percentile of the time to get one, in
//                                  nanoseconds; HOLD: how long each is kept, in nanoseconds, from 20,000 asleep
import com.zaxxer.hikari.HikariConfig;
import com.zaxxer.hikari.HikariDataSource;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.lang.reflect.InvocationHandler;
import java.lang.reflect.Proxy;
import java.sql.Connection;
import java.sql.Statement;
import java.util.Arrays;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.locks.LockSupport;
import java.util.logging.Logger;
import javax.sql.DataSource;

public class HikariRival {
  static Object nothing(Class<?> type) {
    if (type == boolean.class) return false;
    if (type == int.class) return 0;
    if (type == long.class) return 0L;
    if (type == Statement.class) return Proxy.newProxyInstance(HikariRival.class.getClassLoader(),
        new Class<?>[] {Statement.class}, (p, m, a) -> nothing(m.getReturnType()));
    return null;
  }

  static class Stub implements DataSource {
    public Connection getConnection() {
      InvocationHandler handler = (proxy, method, arguments) ->
          method.getName().equals("isValid") ? (Object) true : nothing(method.getReturnType());
      return (Connection) Proxy.newProxyInstance(HikariRival.class.getClassLoader(), new Class<?>[] {Connection.class}, handler);
    }
    public Connection getConnection(String user, String password) { return getConnection(); }
    public PrintWriter getLogWriter() { return null; }
    public void setLogWriter(PrintWriter out) {}
    public void setLoginTimeout(int seconds) {}
    public int getLoginTimeout() { return 0; }
    public Logger getParentLogger() { return null; }
    public <T> T unwrap(Class<T> type) { return null; }
    public boolean isWrapperFor(Class<?> type) { return false; }
  }

  public static void main(String[] arguments) throws Exception {
    HikariConfig config = new HikariConfig();
    config.setDataSource(new Stub());
    config.setMaximumPoolSize(Integer.parseInt(arguments[0]));
    config.setMinimumIdle(Integer.parseInt(arguments[0]));
    config.setPoolName("rival");
    try (HikariDataSource pool = new HikariDataSource(config);
         BufferedReader in = new BufferedReader(new InputStreamReader(System.in))) {
      Thread.sleep(1000);
      System.out.println("ready");
      for (String line = in.readLine(); line != null; line = in.readLine()) {
        String[] words = line.split(" ");
        int threads = Integer.parseInt(words[1]);
        double seconds = Double.parseDouble(words[2]);
        long hold = words.length > 3 ? Long.parseLong(words[3]) : 0;
        boolean crowd = words[0].equals("crowd");
        AtomicBoolean stop = new AtomicBoolean();
        CountDownLatch ready = new CountDownLatch(threads);
        double[] rates = new double[threads];
        long[][] times = new long[threads][crowd ? 200_000 : 0];
        int[] counts = new int[threads];
        Thread[] running = new Thread[threads];
        for (int t = 0; t < threads; t++) {
          int me = t;
          running[t] = new Thread(() -> {
            try {
              ready.countDown();
              ready.await();
              long begin = System.nanoTime();
              long count = 0;
              while (!stop.get()) {
                long asked = crowd ? System.nanoTime() : 0;
                try (Connection c = pool.getConnection()) {
                  if (crowd) {
                    long got = System.nanoTime();
                    if (counts[me] < times[me].length) times[me][counts[me]++] = got - asked;
                    if (hold >= 20_000) {
                      LockSupport.parkNanos(hold);
                    } else {
                      while (System.nanoTime() - got < hold) {
                      }
                    }
                  }
                }
                count++;
              }
              rates[me] = count * 1e9 / (System.nanoTime() - begin);
            } catch (Exception e) {
              throw new RuntimeException(e);
            }
          });
          running[t].start();
        }
        ready.await();
        Thread.sleep((long) (seconds * 1000));
        stop.set(true);
        for (Thread t : running) t.join();
        double rate = Arrays.stream(rates).sum();
        if (!crowd) {
          System.out.println(rate);
          continue;
        }
        long[] all = new long[Arrays.stream(counts).sum()];
        int at = 0;
        for (int t = 0; t < threads; t++) {
          System.arraycopy(times[t], 0, all, at, counts[t]);
          at += counts[t];
        }
        Arrays.sort(all);
        System.out.println(rate + " " + all[all.length / 2] + " " + all[(int) ((all.length - 1) * 0.999)]);
      }
    }
  }
}
