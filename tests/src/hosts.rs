pub struct Host;
