package javax.annotation;

/** The generated code names this annotation, which the JDK has had no longer since version 11. */
public @interface Generated {
    String value();

    String comments();

    String date();
}
