-- MySQL and MariaDB: some tests look at other sessions or end them
GRANT ALL ON *.* TO app@'%' WITH GRANT OPTION;
